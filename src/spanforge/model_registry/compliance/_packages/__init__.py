"""Evidence packages: their files, their signatures, and their verification."""
