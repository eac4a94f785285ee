"""The site's side: cameras and alarms over Socket.IO, people found at the edge."""
