"""What language already believes, and how it enters the policy."""
