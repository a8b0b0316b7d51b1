"""Data of a workspace's task: training and holdout arrays, what the page of the data says, synthetic tiles."""
