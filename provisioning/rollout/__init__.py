"""The rollout: the difference between manifest and node, committed node by node, and its rollback."""
