"""Ways to tell whose face it is: an own gallery, or AWS Rekognition."""
