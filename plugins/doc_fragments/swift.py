# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection options of every Swift module."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment polystore.storage.swift."""

    DOCUMENTATION = r"""
options:
  cloud:
    description:
      - A cloud of V(clouds.yaml) (and V(secure.yaml)), looked for in the working directory, in
        C(~/.config/openstack) and in C(/etc/openstack), or where E(OS_CLIENT_CONFIG_FILE) says.
      - If not set, the value of E(OS_CLOUD) is used.
    type: str
  rc_file:
    description:
      - Path of an OpenStack RC file on the executing host. Its exports are read, nothing in it is executed.
    type: path
  auth_type:
    description:
      - How to authenticate. V(v1) is Swift's own TempAuth, the others are Keystone's.
      - If not set, the value of E(OS_AUTH_TYPE) is used, and without it what the other options and variables lead to.
    type: str
    choices: [v3password, v3applicationcredential, v3token, v1]
  auth:
    description:
      - Who asks, and where.
      - An option that is not set here is taken from O(cloud) or O(rc_file), and then from the environment variable
        C(OS_) and its name in capitals, such as E(OS_AUTH_URL).
      - With O(auth_type=v1) E(ST_AUTH), E(ST_USER) and E(ST_KEY) are read too.
    type: dict
    suboptions:
      auth_url:
        description: Address of Keystone, or of the auth v1 service.
        type: str
      username:
        description: Name of the user; with O(auth_type=v1) V(account:user).
        type: str
      user_id:
        description: Id of the user, instead of its name and domain.
        type: str
      password:
        description: Password of the user; with O(auth_type=v1) the key.
        type: str
      user_domain_name:
        description: Domain of the user, by name. E(OS_USER_DOMAIN_NAME) also serves a missing project domain.
        type: str
      user_domain_id:
        description: Domain of the user, by id.
        type: str
      project_name:
        description: Name of the project whose account is meant.
        type: str
      project_id:
        description: Id of the project, instead of its name and domain.
        type: str
      project_domain_name:
        description: Domain of the project, by name.
        type: str
      project_domain_id:
        description: Domain of the project, by id.
        type: str
      application_credential_id:
        description: Id of an application credential, with O(auth_type=v3applicationcredential).
        type: str
      application_credential_name:
        description: Name of an application credential, together with the user it belongs to.
        type: str
      application_credential_secret:
        description: Secret of the application credential.
        type: str
      token:
        description: A token that has already been issued, with O(auth_type=v3token).
        type: str
  region_name:
    description:
      - Region of the object store in Keystone's catalog.
      - If not set, the value of E(OS_REGION_NAME) is used.
    type: str
  interface:
    description:
      - Which of the catalog's endpoints to use, V(public) if nothing else says.
      - If not set, the value of E(OS_INTERFACE) is used.
    type: str
    choices: [public, internal, admin]
  storage_url:
    description:
      - Address of the account, instead of the one that the authentication service tells.
      - If not set, the value of E(OS_STORAGE_URL) is used.
    type: str
  validate_certs:
    description:
      - Whether the server's certificate has to be valid, V(true) if nothing else says.
    type: bool
  ca_cert:
    description:
      - Path of the certificate authorities to trust, on the executing host.
      - If not set, the value of E(OS_CACERT) is used.
    type: path
  client_cert:
    description:
      - Path of a client certificate, on the executing host.
      - If not set, the value of E(OS_CERT) is used.
    type: path
  client_key:
    description:
      - Path of the client certificate's key.
      - If not set, the value of E(OS_KEY) is used.
    type: path
  timeout:
    description:
      - Seconds to wait for a connection, and for each piece of an answer; V(60) if not set.
    type: int
  retries:
    description:
      - How often to ask again after an error that may pass, with growing pauses; V(4) if not set.
    type: int
requirements:
  - python-swiftclient
  - keystoneauth1 (for every O(auth_type) but V(v1))
  - PyYAML (for O(cloud))
"""
