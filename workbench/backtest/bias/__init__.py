"""The bias check: does a strategy know what it cannot, and what does its beginning still weigh?"""
