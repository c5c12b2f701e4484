"""A student and its teacher: what the flags about distillation mean."""
