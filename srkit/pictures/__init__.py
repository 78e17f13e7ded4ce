"""Pictures in files: read, prepared, planned and written, with all that they carry."""
