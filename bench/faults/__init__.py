"""What a faulty candidate costs a client: mirroring on against mirroring off, row by row of the fault matrix."""
