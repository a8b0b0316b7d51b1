"""Data of a workspace's task: training and holdout arrays, the page of the data, synthetic tiles."""
