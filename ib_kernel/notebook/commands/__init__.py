"""What a magic line may say, and what each command does."""
