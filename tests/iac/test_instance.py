"""`terraform apply` as an operator does it, and what AWS says was made."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from processes import ROOT
from terraform import NEWEST_OF_CANONICAL, Terraform

# Every command of Terraform reads the whole provider, 700 MB, to compare its digest.
pytestmark = pytest.mark.timeout(900)

OFFICE, CUSTOMERS = "203.0.113.7/32", ["203.0.113.0/24", "198.51.100.0/24"]
ASKED = {"repository_url": "https://example.org/team/hemline.git", "ssh_cidr": OFFICE}
PUBLIC = ASKED | {
    "name": "public", "domain": "hemline.example.org", "web_cidrs": ["0.0.0.0/0"], "github_repository": "team/hemline"
}  # fmt: skip
Client = Callable[[str], Any]


@dataclass(frozen=True)
class Installation:
    """What was applied, and the AWS on which."""

    terraform: Terraform
    outputs: dict[str, str]
    aws: Client

    def instance(self) -> dict[str, Any]:
        answer = self.aws("ec2").describe_instances(InstanceIds=[self.outputs["instance_id"]])
        (instance,) = answer["Reservations"][0]["Instances"]
        return dict(instance)

    def user_data(self) -> str:
        said = self.aws("ec2").describe_instance_attribute(InstanceId=self.outputs["instance_id"], Attribute="userData")
        return base64.b64decode(said["UserData"]["Value"]).decode()

    def rules(self, outwards: bool) -> set[tuple[int, int, str]]:
        """What its security group lets through: from port, to port, network."""
        (group,) = self.instance()["SecurityGroups"]
        said = self.aws("ec2").describe_security_group_rules(
            Filters=[{"Name": "group-id", "Values": [group["GroupId"]]}]
        )
        rules = [rule for rule in said["SecurityGroupRules"] if rule["IsEgress"] is outwards]
        assert {rule["IpProtocol"] for rule in rules} == {"tcp"}
        return {(rule["FromPort"], rule["ToPort"], rule["CidrIpv4"]) for rule in rules}

    @property
    def bucket(self) -> str:
        return self.outputs["artifacts_url"].removeprefix("s3://").partition("/")[0]


@pytest.fixture(scope="module")
def made(new_terraform: Callable[[], Terraform], aws: Client) -> Iterator[Installation]:
    terraform = new_terraform()
    yield Installation(terraform, terraform.apply(**ASKED, web_cidrs=CUSTOMERS), aws)
    terraform.run("destroy", "-auto-approve", **ASKED)


@pytest.fixture(scope="module")
def public(new_terraform: Callable[[], Terraform], aws: Client) -> Iterator[Installation]:
    """Another one, with a domain, which a workflow deploys."""
    terraform = new_terraform()
    yield Installation(terraform, terraform.apply(**PUBLIC), aws)
    terraform.run("destroy", "-auto-approve", **PUBLIC)


def test_a_second_plan_has_nothing_to_do(made: Installation) -> None:
    assert "No changes" in made.terraform.run("plan", "-detailed-exitcode", **ASKED, web_cidrs=CUSTOMERS)


def test_only_one_network_reaches_ssh_and_only_the_web_is_open_to_others(made: Installation) -> None:
    web = {(port, port, cidr) for port in (80, 443) for cidr in CUSTOMERS}

    assert made.rules(outwards=False) == {(22, 22, OFFICE), *web}


def test_the_instance_only_downloads(made: Installation) -> None:
    assert made.rules(outwards=True) == {(port, port, "0.0.0.0/0") for port in (80, 443)}


def test_the_instance_is_of_canonicals_newest_image_and_opens_to_the_key_that_was_made(made: Installation) -> None:
    instance = made.instance()
    (key,) = made.aws("ec2").describe_key_pairs(KeyNames=[instance["KeyName"]], IncludePublicKey=True)["KeyPairs"]
    ours = (made.terraform.folder / "fashion_mnist_key.pub").read_text().split()

    assert instance["ImageId"] == NEWEST_OF_CANONICAL
    assert key["PublicKey"].split()[:2] == ours[:2]


def test_metadata_needs_a_token_and_is_within_reach_of_the_containers(made: Installation) -> None:
    options = made.instance()["MetadataOptions"]

    assert options["HttpTokens"] == "required"
    assert options["HttpPutResponseHopLimit"] == 2


def test_the_volume_is_encrypted(made: Installation) -> None:
    (disk,) = made.instance()["BlockDeviceMappings"]
    (volume,) = made.aws("ec2").describe_volumes(VolumeIds=[disk["Ebs"]["VolumeId"]])["Volumes"]

    assert volume["Encrypted"]
    assert volume["VolumeType"] == "gp3"


def test_the_address_stays_and_is_what_the_first_start_waits_for(made: Installation) -> None:
    (address,) = made.aws("ec2").describe_addresses(PublicIps=[made.outputs["address"]])["Addresses"]

    assert address["InstanceId"] == made.outputs["instance_id"]
    assert f"= '{made.outputs['address']}' ] && break" in made.user_data()
    assert made.outputs["url"] == f"http://{made.outputs['address']}/"
    assert made.outputs["ssh"] == f"ssh -i fashion_mnist_key ubuntu@{made.outputs['address']}"


def test_the_bucket_is_private_versioned_and_encrypted(made: Installation) -> None:
    s3, bucket = made.aws("s3"), {"Bucket": made.bucket}
    (encryption,) = s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    (ownership,) = s3.get_bucket_ownership_controls(**bucket)["OwnershipControls"]["Rules"]

    assert set(s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"].values()) == {True}
    assert ownership["ObjectOwnership"] == "BucketOwnerEnforced"
    assert s3.get_bucket_versioning(**bucket)["Status"] == "Enabled"
    assert encryption["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"


def test_the_bucket_refuses_whoever_comes_without_tls(made: Installation) -> None:
    (refusal,) = json.loads(made.aws("s3").get_bucket_policy(Bucket=made.bucket)["Policy"])["Statement"]

    assert (refusal["Effect"], refusal["Principal"], refusal["Action"]) == ("Deny", "*", "s3:*")
    assert set(refusal["Resource"]) == {f"arn:aws:s3:::{made.bucket}", f"arn:aws:s3:::{made.bucket}/*"}
    assert refusal["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_what_was_replaced_in_the_bucket_is_forgotten_and_nothing_else(made: Installation) -> None:
    (rule,) = made.aws("s3").get_bucket_lifecycle_configuration(Bucket=made.bucket)["Rules"]

    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert not {"Days", "Date"} & rule["Expiration"].keys()


def test_the_instance_may_use_its_prefix_of_the_bucket_and_nothing_else(made: Installation) -> None:
    iam = made.aws("iam")
    name = made.instance()["IamInstanceProfile"]["Arn"].rpartition("/")[2]
    (role,) = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Roles"]
    (policy,) = iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]
    document = iam.get_role_policy(RoleName=role["RoleName"], PolicyName=policy)["PolicyDocument"]
    allowed = {
        (action, statement["Resource"])
        for statement in document["Statement"]
        for action in np.atleast_1d(statement["Action"])
    }
    objects = f"arn:aws:s3:::{made.bucket}/hemline/*"

    assert {statement["Effect"] for statement in document["Statement"]} == {"Allow"}
    assert allowed == {
        ("s3:ListBucket", f"arn:aws:s3:::{made.bucket}"), ("s3:GetObject", objects), ("s3:PutObject", objects),
        ("s3:DeleteObject", objects),
    }  # fmt: skip
    assert iam.list_attached_role_policies(RoleName=role["RoleName"])["AttachedPolicies"] == []
    assert [said["Principal"] for said in role["AssumeRolePolicyDocument"]["Statement"]] == [
        {"Service": "ec2.amazonaws.com"}
    ]


def test_the_instance_starts_the_compose_file_with_its_artifacts_in_the_bucket(made: Installation) -> None:
    script = made.user_data()

    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    assert f"HEMLINE_ARTIFACTS_URL={made.outputs['artifacts_url']}" in script
    assert made.outputs["artifacts_url"] == f"s3://{made.bucket}/hemline"
    assert "git clone --depth 1 --branch 'main' 'https://example.org/team/hemline.git'" in script
    assert "docker compose up --build --detach --wait" in script


def test_the_instance_gives_the_compose_file_what_it_cannot_do_without(made: Installation) -> None:
    (environment,) = re.findall(r"cat > \.env\) <<END\n(.*?)\nEND\n", made.user_data(), re.DOTALL)
    wanted = re.findall(r"\$\{(\w+):\?", (ROOT / "docker-compose.yml").read_text())

    assert {line.partition("=")[0] for line in environment.splitlines()} >= set(wanted)


def test_neither_the_state_nor_the_start_script_has_a_secret(made: Installation) -> None:
    state = (made.terraform.folder / "terraform.tfstate").read_text()
    private = (made.terraform.folder / "fashion_mnist_key").read_text().splitlines()[1]

    assert "HEMLINE_REDIS_PASSWORD=$(openssl rand -hex 32)" in made.user_data()
    assert private not in state
    assert "PRIVATE KEY" not in state


def test_what_is_made_bears_the_name_of_the_project(made: Installation) -> None:
    tags = {tag["Key"]: tag["Value"] for tag in made.instance()["Tags"]}

    assert tags == {"Name": "hemline", "Project": "hemline"}


def test_a_newer_image_or_start_script_does_not_replace_the_instance(made: Installation) -> None:
    planned = made.terraform.run("plan", **ASKED, web_cidrs=CUSTOMERS, repository_ref="v2", ami="ami-00000000000000001")

    assert "No changes" in planned


def test_who_may_use_ssh_may_use_the_service_and_nobody_else_unless_they_are_named(made: Installation) -> None:
    made.terraform.run("plan", "-refresh=false", "-out=plan", **ASKED)
    changes = json.loads(made.terraform.run("show", "-json", "plan"))["resource_changes"]
    rules = {
        change["index"]: change["change"]["actions"]
        for change in changes
        if change["address"].startswith("aws_vpc_security_group_ingress_rule.web")
    }

    assert rules == {
        **{f"{port} from {cidr}": ["delete"] for port in (80, 443) for cidr in CUSTOMERS},
        **{f"{port} from {OFFICE}": ["create"] for port in (80, 443)},
    }


def test_a_domain_is_served_over_tls(public: Installation) -> None:
    assert public.outputs["url"] == "https://hemline.example.org/"
    assert "\nhemline.example.org {\n" in public.user_data()


def test_only_an_approved_run_of_the_repository_may_deploy(public: Installation, made: Installation) -> None:
    iam, name = public.aws("iam"), public.outputs["deployment_role"].rpartition("/")[2]
    (trust,) = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]["Statement"]

    assert trust["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert trust["Principal"]["Federated"].endswith(":oidc-provider/token.actions.githubusercontent.com")
    assert trust["Condition"] == {"StringEquals": {
        "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
        "token.actions.githubusercontent.com:sub": "repo:team/hemline:environment:production",
    }}  # fmt: skip
    assert "deployment_role" not in made.outputs


def test_who_deploys_may_send_commands_to_the_instance_and_nothing_else(public: Installation) -> None:
    name = public.outputs["deployment_role"].rpartition("/")[2]
    document = public.aws("iam").get_role_policy(RoleName=name, PolicyName="send-commands")["PolicyDocument"]
    send, follow = document["Statement"]

    assert send["Action"] == "ssm:SendCommand"
    assert {place.rpartition(":")[2] for place in send["Resource"]} == {
        f"instance/{public.outputs['instance_id']}", "document/AWS-RunShellScript"
    }  # fmt: skip
    assert follow["Action"] == "ssm:GetCommandInvocation"


@pytest.mark.parametrize(
    "wrong",
    [
        {
            "repository_url": ("https://me:secret@example.org/x.git", "https URL without credentials"),
            "repository_ref": ("$(reboot)", "name of a branch or of a tag"),
            "ssh_cidr": ("0.0.0.0/0", "smaller than the whole internet"),
            "web_cidrs": ([], "Give IPv4 CIDR blocks"),
            "domain": ("https://hemline.example.org", "without https://"),
            "region": ("Frankfurt", "name of a region"),
            "name": ("Hemline_1", "begins the name of a bucket"),
            "instance_type": ("t4g.medium", "Give an x86-64 type"),
            "ami": ("ubuntu", "id of an image"),
            "volume_size": (8, "need 20 GiB"),
            "redis_memory": ("lots", "like 512mb or 2gb"),
            "github_repository": ("https://github.com/team/hemline", "as owner/name"),
            "github_oidc_provider": ("github", "Give an ARN"),
            "public_key_file": ("fashion_mnist_key", "must not get into the state"),
        },
        {
            "repository_url": ("https://example.org/x.git'; reboot; '", "https URL without credentials"),
            "ssh_cidr": ("203.0.113.7", "smaller than the whole internet"),
            "web_cidrs": (["everybody"], "Give IPv4 CIDR blocks"),
            "instance_type": ("c7gn.large", "Give an x86-64 type"),
        },
        {"domain": ("hemline.example.org", "web_cidrs must be")},
        {"public_key_file": ("nobody.pub", "Make a key first: ssh-keygen -f nobody")},
    ],
)
def test_a_variable_that_would_go_wrong_is_refused_with_what_to_do(
    made: Installation, wrong: dict[str, tuple[Any, str]]
) -> None:
    values = {name: value for name, (value, _) in wrong.items()}
    said = made.terraform.run("plan", "-refresh=false", **(ASKED | values), fails_with=1)

    words = " ".join(said.replace("│", " ").split())
    assert [name for name, (_, message) in wrong.items() if message not in words] == []


def test_what_is_stored_is_destroyed_only_when_that_is_said_too(public: Installation) -> None:
    """The last test of this installation: it leaves nothing."""
    s3, terraform = public.aws("s3"), public.terraform
    s3.delete_bucket_policy(Bucket=public.bucket)  # moto refuses all requests by it: it knows no conditions
    for content in (b"one", b"two"):
        s3.put_object(Bucket=public.bucket, Key="hemline/models/v1/card.json", Body=content)

    assert "BucketNotEmpty" in terraform.run("destroy", "-auto-approve", **PUBLIC, fails_with=1)
    assert s3.get_object(Bucket=public.bucket, Key="hemline/models/v1/card.json")["Body"].read() == b"two"

    terraform.apply(**PUBLIC, delete_artifacts=True)
    terraform.run("destroy", "-auto-approve", **PUBLIC)
    assert terraform.run("state", "list") == ""
    assert public.bucket not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
