"""Looking at corpora: what they hold, how raters agree, what the words tell."""
