"""Which node receives traffic: switchover, nodes taken out of service and put back."""
