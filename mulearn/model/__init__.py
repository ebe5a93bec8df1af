"""The learned world, behind the one seam that search knows."""
