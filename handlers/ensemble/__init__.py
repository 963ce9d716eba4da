"""The ensemble handler: finished models combined into one."""
