"""How canaries are planted among records: which records, which coins, what the training set holds, what was scored."""
