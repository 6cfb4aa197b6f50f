"""Time windows as arrays ``[series, time]`` and robust statistics over them; pure, vectorised over series."""
