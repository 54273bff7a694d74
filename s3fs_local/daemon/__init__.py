"""Chooses the parts, wires them and keeps them alive."""
