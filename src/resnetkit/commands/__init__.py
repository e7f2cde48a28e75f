"""What each command does: calls and prints. torch is imported only once there is work to do."""
