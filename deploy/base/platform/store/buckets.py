"""Make the buckets named in the environment. One that is there already is fine, so the job may run again."""

import os

import boto3
from botocore.exceptions import ClientError

OURS = "BucketAlreadyOwnedByYou"
THERE = {OURS, "BucketAlreadyExists"}


def make(names: list[str]) -> None:
    """Address and keys come from the environment. Raises botocore's error where a bucket cannot be made."""
    client = boto3.client("s3", region_name=os.environ.get("AWS_REGION", "us-east-1"))
    there = {each["Name"] for each in client.list_buckets()["Buckets"]}
    for name in names:
        if name in there:
            print(f"{name}: there already", flush=True)
            continue
        try:
            client.create_bucket(Bucket=name)
        except ClientError as error:
            if error.response["Error"]["Code"] not in THERE:
                raise
        print(f"{name}: made", flush=True)


if __name__ == "__main__":
    make(os.environ["BUCKETS"].split())
