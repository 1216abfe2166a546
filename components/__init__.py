"""Cloud resources. No component reads configuration, the environment or a file: settings come in typed."""
