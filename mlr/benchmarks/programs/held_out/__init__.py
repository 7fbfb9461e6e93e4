"""Programs that were drawn to judge the rules: who writes these does not read them."""
