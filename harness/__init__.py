"""How far can a zero-cost proxy be trusted?"""
