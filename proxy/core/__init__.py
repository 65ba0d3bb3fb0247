"""Pure decisions: no loop, socket, clock or dice."""
