"""An episode and all its searches as one page of HTML."""
