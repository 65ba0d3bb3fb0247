"""Two scoring services with really trained models, their data rows and a steady load."""
