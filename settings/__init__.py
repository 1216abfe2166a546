"""The `tandem:*` settings of a stack, one module per section. `load.py` reads them; models import only `settings`."""
