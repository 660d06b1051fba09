"""The verdict: is the best of so many tries more than luck?"""
