"""What a BPF program is given of an event: its forms, its sections, what one made for another kernel sees."""
