"""HTTP/1.1: pure head and body code, and the two protocols that carry it."""
