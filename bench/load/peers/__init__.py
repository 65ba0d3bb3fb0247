"""Small programs that take part in the measurements, each runnable on its own."""
