"""Where packs and journal segments live: named bytes in one zone."""
