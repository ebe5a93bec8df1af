"""Where observations come from: text worlds and board games."""
