"""Every `tandem:*` setting of a stack, one module a section. `load.py` reads them; models import nothing of ours."""
