"""What several tests share: builders, waiting, servers."""
