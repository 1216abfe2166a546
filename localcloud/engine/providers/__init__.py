"""The providers that this engine has inside: no plugin is ever started."""
