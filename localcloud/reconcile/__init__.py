"""The records, and the workers that make machines and network match them; `Cloud` owns both."""
