"""What deep learning and transfer learning share around a fit: numbers before it, a packed and judged model after."""
