"""The Streamlit board."""
