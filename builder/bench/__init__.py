"""What a measurement is: samples, the conditions around them, and what they prove."""
