"""The network: namespaces, links, rule sets, HAVIPs, public addresses, DNS and the package mirror."""
