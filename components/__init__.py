"""Cloud resources. Components receive typed settings; they do not read configuration, the environment or files."""
