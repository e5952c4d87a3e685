"""What explaining pictures and explaining answers have in common: methods, scores, attention, gradients that stay on,
and the judge of maps.
"""
