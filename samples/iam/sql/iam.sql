-- The tables of the IAM services. Loaded by root into the database that is selected; may be loaded again at any time.
-- Triggers act with the rights of iam@127.0.0.1 whoever deletes: that account must exist, with TRIGGER and data rights.

SET NAMES utf8mb4;

CREATE TABLE IF NOT EXISTS `user` (
  `id`           bigint unsigned  NOT NULL AUTO_INCREMENT,
  `instanceID`   varchar(32)      DEFAULT NULL,
  `name`         varchar(45)      NOT NULL,
  `status`       int              DEFAULT 1            COMMENT '1 = usable',
  `nickname`     varchar(30)      NOT NULL,
  `password`     varchar(255)     NOT NULL             COMMENT 'bcrypt',
  `email`        varchar(256)     NOT NULL,
  `phone`        varchar(20)      DEFAULT NULL,
  `isAdmin`      tinyint unsigned NOT NULL DEFAULT 0,
  `extendShadow` longtext         DEFAULT NULL,
  `loginedAt`    timestamp        NULL DEFAULT NULL,
  `createdAt`    timestamp        NOT NULL DEFAULT current_timestamp(),
  `updatedAt`    timestamp        NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  PRIMARY KEY (`id`),
  UNIQUE KEY `idx_name` (`name`),
  UNIQUE KEY `instanceID_UNIQUE` (`instanceID`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE IF NOT EXISTS `secret` (
  `id`           bigint unsigned  NOT NULL AUTO_INCREMENT,
  `instanceID`   varchar(32)      DEFAULT NULL,
  `name`         varchar(45)      NOT NULL,
  `username`     varchar(45)      NOT NULL,
  `secretID`     varchar(36)      NOT NULL             COMMENT 'kid of the tokens that it signs',
  `secretKey`    varchar(255)     NOT NULL             COMMENT 'in plain text: it verifies signatures',
  `expires`      bigint unsigned  NOT NULL DEFAULT 0   COMMENT 'unix seconds, 0 = never',
  `description`  varchar(255)     NOT NULL DEFAULT '',
  `extendShadow` longtext         DEFAULT NULL,
  `createdAt`    timestamp        NOT NULL DEFAULT current_timestamp(),
  `updatedAt`    timestamp        NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  PRIMARY KEY (`id`),
  UNIQUE KEY `instanceID_UNIQUE` (`instanceID`),
  KEY `fk_secret_user_idx` (`username`),
  CONSTRAINT `fk_secret_user` FOREIGN KEY (`username`) REFERENCES `user` (`name`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE IF NOT EXISTS `policy` (
  `id`           bigint unsigned  NOT NULL AUTO_INCREMENT,
  `instanceID`   varchar(32)      DEFAULT NULL,
  `name`         varchar(45)      NOT NULL,
  `username`     varchar(45)      NOT NULL,
  `policyShadow` longtext         DEFAULT NULL         COMMENT 'the policy as JSON',
  `extendShadow` longtext         DEFAULT NULL,
  `createdAt`    timestamp        NOT NULL DEFAULT current_timestamp(),
  `updatedAt`    timestamp        NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  PRIMARY KEY (`id`),
  UNIQUE KEY `instanceID_UNIQUE` (`instanceID`),
  KEY `fk_policy_user_idx` (`username`),
  CONSTRAINT `fk_policy_user` FOREIGN KEY (`username`) REFERENCES `user` (`name`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE IF NOT EXISTS `policy_audit` (
  `id`           bigint unsigned  NOT NULL,
  `instanceID`   varchar(32)      DEFAULT NULL,
  `name`         varchar(45)      NOT NULL,
  `username`     varchar(45)      NOT NULL,
  `policyShadow` longtext         DEFAULT NULL,
  `extendShadow` longtext         DEFAULT NULL,
  `createdAt`    timestamp        NOT NULL DEFAULT current_timestamp(),
  `updatedAt`    timestamp        NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  `deletedAt`    timestamp        NOT NULL DEFAULT current_timestamp(),
  PRIMARY KEY (`id`),
  KEY `fk_policy_user_idx` (`username`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

DELIMITER ;;

CREATE OR REPLACE DEFINER = `iam`@`127.0.0.1` TRIGGER `policy_BEFORE_DELETE` BEFORE DELETE ON `policy` FOR EACH ROW
BEGIN
  INSERT INTO `policy_audit`
    (`id`, `instanceID`, `name`, `username`, `policyShadow`, `extendShadow`, `createdAt`, `updatedAt`, `deletedAt`)
  VALUES
    (old.`id`, old.`instanceID`, old.`name`, old.`username`, old.`policyShadow`, old.`extendShadow`,
     old.`createdAt`, old.`updatedAt`, current_timestamp());
END ;;

CREATE OR REPLACE DEFINER = `iam`@`127.0.0.1` TRIGGER `user_BEFORE_DELETE` BEFORE DELETE ON `user` FOR EACH ROW
BEGIN
  DELETE FROM `secret` WHERE `username` = old.`name`;
  DELETE FROM `policy` WHERE `username` = old.`name`;
END ;;

DELIMITER ;
