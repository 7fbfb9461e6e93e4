"""Page of the lecture: answers and their claims, how they are drawn, saved and written as HTML."""
