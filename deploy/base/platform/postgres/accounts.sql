-- Runs stand in the database mlflow, accounts and permissions in one of their own. Run once, on an empty volume.
CREATE DATABASE accounts OWNER mlflow;
