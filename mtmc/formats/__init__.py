"""Reading and writing of tables. Nothing changes on the way: no filter, no clipping, no hidden enlargement."""
