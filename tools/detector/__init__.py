"""Training and measuring the vehicle detector that is shipped with the package."""
