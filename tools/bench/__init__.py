"""Side-by-side measurements, on seeded workloads."""
