"""Batch predictive inference: what can be said of a whole batch of unseen points?

Prediction sets for functions of m unobserved scores from n exchangeable calibration scores: order statistics, the mean
and other compositions, shares covered, selections with few false claims. Source: Lee, Tchetgen Tchetgen, Dobriban,
Batch Predictive Inference (arXiv 2409.13990).
"""
